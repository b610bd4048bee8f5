CREATE CATALOG shop WITH ('type' = 'generic_in_memory', 'warehouse' = 'x');
SELECT 1;
