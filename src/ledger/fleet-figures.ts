/** The figures of a job for a scrape. All times are in seconds. */
export interface JobFigures {
  readonly jobId: string
  readonly isPaused: boolean
  /** When the planner plans the job next, as a Unix time. */
  readonly nextTick: number | undefined
  readonly deadlineSeconds: number | undefined
  /** The figures of the windows. Only for a job with windows that has begun. */
  readonly windows: WindowFigures | undefined
}

export interface WindowFigures {
  /** End of the unbroken sequence of succeeded windows, as a Unix time. */
  readonly watermark: number
  /** The time from the watermark until now. */
  readonly ageSeconds: number
  /** The time from the watermark to the end of the last window that is due by the schedule. */
  readonly lagSeconds: number
  /** For how long the oldest window that should have data has had none; 0: no data is missing. */
  readonly overdueSeconds: number
  /** Start of this window, as a Unix time. Undefined: no data is missing. */
  readonly oldestMissing: number | undefined
  readonly counts: Readonly<Record<'pending' | 'waiting' | 'failed' | 'stale', number>>
}

/** Due runs of one job with one priority. */
export interface QueueFigures {
  readonly jobId: string
  readonly priority: number
  readonly runs: number
  /** How long the oldest of these runs has waited. */
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
  /** The number of nodes with a lease that has not expired. */
  readonly nodes: number
  readonly hasLeader: boolean
  readonly alerts: Readonly<Record<'failure' | 'late', number>>
  /** The numbers of messages to people: those that wait, and those that could not be delivered. */
  readonly messages: Readonly<Record<'due' | 'dead', number>>
}
