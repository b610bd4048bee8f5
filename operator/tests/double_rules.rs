//! The double keeps the rules of the real API server.

mod double;

use double::Cluster;

#[test]
fn a_new_cluster_is_at_rest() {
    let cluster = Cluster::new();
    assert_eq!(cluster.step(), None);
}
