/** Receives events about the rows of sinks. Its functions only observe. */
export interface SinkObserver {
  /** The target of a sink is down, so its batches go to disk. Called once per outage. */
  spilling(event: { sink: string; error: Error }): void
  /** The target has received all batches of an outage. */
  drained(event: { sink: string; rows: number; outageMs: number }): void
  /** This process has taken over batches that an ended process left on this host. */
  adopted(event: { sink: string; segments: number; bytes: number }): void
  /** A segment on disk is damaged. Its intact records were delivered, and the file stays on disk as `file`. */
  damaged(event: { sink: string; file: string; problems: readonly string[]; lostBytes: number }): void
  /** The target has rows of a newer run, so a batch from disk was dropped. */
  superseded(event: { sink: string; jobId: string; runId: number; rows: number; error: Error }): void
}

/** Counts the rows of runs that are on this host's disk. Its functions never throw. */
export interface SpillJournal {
  /** Rows of a run were stored on disk (`spilled`), or sent from disk to the target (`sent`). */
  note(change: { runId: number; jobId: string; sink: string; spilled?: number; sent?: number; bytes?: number }): void
  /** Resolves when the notes so far were stored, or storing them has failed. */
  flushed(): Promise<void>
}
