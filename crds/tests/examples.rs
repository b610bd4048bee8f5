//! Every example is a manifest that reads without fault.

use std::path::Path;

use weir_crds::StreamJob;

#[test]
fn every_example_reads_and_is_named_like_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the examples' folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ext| ext != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text file");
        let job = StreamJob::from_yaml(&text, &path.display().to_string())
            .unwrap_or_else(|faults| panic!("{faults:#?}"));
        assert_eq!(Some(job.metadata.name.as_str()), path.file_stem().and_then(|s| s.to_str()));
        let (line, column) = job.sql_position.locate(1, 1);
        let shown = text.lines().nth(line - 1).expect("the SQL's first line");
        assert!(shown.trim_start().starts_with("CREATE TABLE"), "{}: {shown}", path.display());
        assert_eq!(column, Some(5), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 4, "{seen} examples");
}
