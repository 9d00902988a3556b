/** What the conductor tells a node in its first argument. */
export interface NodeOrder {
  readonly dsn: string
  readonly leaseMs: number
  readonly windowsStart: string
  readonly commitsOutside: boolean
}
