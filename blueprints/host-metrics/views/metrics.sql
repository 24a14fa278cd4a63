-- Where the views are computed and kept.
CREATE CLUSTER metrics (SIZE = '25cc');
