CREATE DATABASE shop;
CREATE TABLE shop.t (a INT) WITH ('connector' = 'print');
DROP DATABASE shop;
SELECT 1;
