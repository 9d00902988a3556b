/** Receives what happens to the rows of sinks. Its functions only observe. */
export interface SinkObserver {
  /** The target of a sink is down, so its batches go to the disk. Once per outage. */
  spilling(event: { sink: string; error: Error }): void
  /** All batches of an outage are at the target. */
  drained(event: { sink: string; rows: number; outageMs: number }): void
  /** Batches that an ended process left on this host now belong to this one. */
  adopted(event: { sink: string; segments: number; bytes: number }): void
  /** A segment on the disk is damaged. `file` keeps what is left; the sound records were delivered. */
  damaged(event: { sink: string; file: string; problems: readonly string[]; lostBytes: number }): void
  /** The target holds rows of a newer run, so a batch from the disk was dropped. */
  superseded(event: { sink: string; jobId: string; runId: number; rows: number; error: Error }): void
}

/** Counts rows of runs that are on this host's disk. Never throws. */
export interface SpillJournal {
  /** Rows of a run went to the disk (positive `spilled`), or from there to the target (`sent`). */
  note(change: { runId: number; jobId: string; sink: string; spilled?: number; sent?: number; bytes?: number }): void
  /** Resolves when the notes so far are stored, or could not be. */
  flushed(): Promise<void>
}
