/** The conductor's order for a node, in its first argument. */
export interface NodeOrder {
  readonly dsn: string
  readonly leaseMs: number
  readonly windowsStart: string
  readonly commitsOutside: boolean
  /** The schedule of the job `changing` in the node's code. */
  readonly everyMs: number
  /** The port of the server that runs of the job `rated` call. */
  readonly port: number
}
