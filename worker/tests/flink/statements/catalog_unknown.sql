CREATE CATALOG lake WITH ('type' = 'lake', 'uri' = 'thrift://nowhere');
SELECT 1;
