/** The metrics of a job. All times are in seconds. */
export interface JobFigures {
  readonly jobId: string
  readonly isPaused: boolean
  /** The job's next tick that is not planned yet, as a Unix time. */
  readonly nextTick: number | undefined
  readonly deadlineSeconds: number | undefined
  /** The figures of the windows. Undefined if the job has no windows, or if no node has planned it yet. */
  readonly windows: WindowFigures | undefined
}

export interface WindowFigures {
  /** The end of the unbroken sequence of successful windows, as a Unix time. */
  readonly watermark: number
  /** The time since the watermark. */
  readonly ageSeconds: number
  /** The time from the watermark to the end of the last window that is already due. */
  readonly lagSeconds: number
  /** How long the oldest window without data has been overdue; 0: no data is missing. */
  readonly overdueSeconds: number
  /** The start of the oldest window without data, as a Unix time. Undefined: no data is missing. */
  readonly oldestMissing: number | undefined
  readonly counts: Readonly<Record<'pending' | 'waiting' | 'failed' | 'stale', number>>
}

/** The due runs of one job with the same priority. */
export interface QueueFigures {
  readonly jobId: string
  readonly priority: number
  readonly runs: number
  /** How long the oldest of these runs has been waiting. */
  readonly oldestSeconds: number
}

/** The state of the fleet in the database. */
export interface FleetFigures {
  /** The figures of at most 1,000 jobs, by id. */
  readonly jobs: readonly JobFigures[]
  readonly queue: readonly QueueFigures[]
  /** Whether more runs are due than were counted. */
  readonly isQueueCapped: boolean
  readonly running: number
  /** How many nodes have a valid lease. */
  readonly nodes: number
  readonly hasLeader: boolean
  readonly alerts: Readonly<Record<'failure' | 'late', number>>
  /** How many messages to people are waiting, and how many could not be delivered. */
  readonly messages: Readonly<Record<'due' | 'dead', number>>
}
