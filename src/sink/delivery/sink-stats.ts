/** The figures of a sink since the process started. */
export interface SinkStats {
  readonly sink: string
  readonly rows: number
  readonly batches: number
  readonly bytes: number
  /** The time that successful deliveries took, in seconds. */
  readonly seconds: number
  readonly retries: number
  readonly dead: number
  readonly spilledRows: number
  /** The bytes of this sink that are on disk now. */
  readonly spillBytes: number
  readonly spillSegments: number
  /** The age of the oldest batch on disk; 0 if there is none. */
  readonly spillAgeSeconds: number
}

/** Counts the deliveries of one sink. */
export class DeliveryCounts {
  rows = 0
  batches = 0
  bytes = 0
  seconds = 0
  retries = 0
  dead = 0
  spilledRows = 0

  delivered(rows: number, bytes: number, ms: number): void {
    this.rows += rows
    this.batches++
    this.bytes += bytes
    this.seconds += ms / 1_000
  }
}
