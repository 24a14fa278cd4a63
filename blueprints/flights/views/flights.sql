-- Where the views are computed and kept.
CREATE CLUSTER flights (SIZE = '25cc');
