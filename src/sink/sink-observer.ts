/** Receives events about the rows of sinks. Its functions only observe. */
export interface SinkObserver {
  /** Called when the target of a sink is down, so its batches go to disk. Called once per outage. */
  spilling(event: { sink: string; error: Error }): void
  /** Called when the target has received all batches of an outage. */
  drained(event: { sink: string; rows: number; outageMs: number }): void
  /** Called when this process has taken over batches that a process on this host left when it ended. */
  adopted(event: { sink: string; segments: number; bytes: number }): void
  /** Called when a segment on disk is damaged. Its intact records were delivered, and the file is kept as `file`. */
  damaged(event: { sink: string; file: string; problems: readonly string[]; lostBytes: number }): void
  /** Called when the target has rows of a newer run, so a batch from disk was dropped. */
  superseded(event: { sink: string; jobId: string; runId: number; rows: number; error: Error }): void
}

/** Counts the rows of runs that are on this host's disk. Its functions never throw. */
export interface SpillJournal {
  /** Counts a change: rows of a run were stored on disk (`spilled`), or sent from disk to the target (`sent`). */
  note(change: { runId: number; jobId: string; sink: string; spilled?: number; sent?: number; bytes?: number }): void
  /** Resolves when all changes so far have been stored, or storing them has failed. */
  flushed(): Promise<void>
}
