//! Deliberate defects of files: see [`trine_probe::mutants`].

trine_probe::mutants! {
    of a program;
    LogAnswersBeforeSync "log-answers-before-sync" "log entries are reported durable before they are synced"
    SyncErrorIgnored "sync-error-ignored" "a sync of the log that failed counts as done"
    ShortLogAccepted "short-log-accepted" "a log that ends before its floor is opened"
    DirectoryUnsynced "directory-entry-not-synced" "the name of a new file of the log is not synced"
    DamageCutOff "damage-cut-off" "damage in the last file of the log counts as its torn end"
    FullDiskBelieved "full-disk-believed" "a write of the log that found the disk full counts as done"
    StoreAnswersBeforeSync "store-answers-before-sync" "rows are reported durable before they are synced"
    ReplayStopsEarly "replay-skips-last-group" "the last group of rows in the journal is not read at a start"
}
