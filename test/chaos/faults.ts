import { seeded } from './random.ts'

/**
 * `kill`: SIGKILL of a node, then a restart. `freeze`: SIGSTOP for longer than two leases, then SIGCONT: a zombie.
 * `deploy`: SIGTERM, then a new process. `delay`, `cut`, `halfClose`, `swallow`: faults of a node's connections to the
 * database. `database`: SIGKILL of the server, then a restart.
 */
export const FAULT_KINDS = ['kill', 'freeze', 'deploy', 'delay', 'cut', 'halfClose', 'swallow', 'database'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Fault {
  readonly kind: FaultKind
  /** Milliseconds since the start. */
  readonly atMs: number
  readonly durationMs: number
  /** Undefined for the database, which all nodes share. */
  readonly node: number | undefined
  /** How far ahead the clock of a replacement process is, in milliseconds. */
  readonly skewMs: number
}

export interface FaultPlan {
  readonly seed: number
  readonly nodes: number
  /** No fault begins or continues after this time. */
  readonly lengthMs: number
  readonly leaseMs: number
}

const FIRST_FAULT_MS = 2_000
const LARGEST_SKEW_MS = 90_000

/** The schedule of faults for a seed. A node has one fault at a time, and so has the database. Pure. */
export function planFaults({ seed, nodes, lengthMs, leaseMs }: FaultPlan): Fault[] {
  const random = seeded(seed)
  const between = (least: number, most: number): number => Math.round(least + (most - least) * random())
  const free = new Map<number | undefined, number>()
  const faults: Fault[] = []
  for (let atMs = FIRST_FAULT_MS; ; atMs += between(800, 2_500)) {
    const kind = FAULT_KINDS[Math.floor(random() * FAULT_KINDS.length)] ?? 'kill'
    const node = kind === 'database' ? undefined : Math.floor(random() * nodes)
    const durationMs = durationOf(kind, leaseMs, between)
    const skewMs = between(-LARGEST_SKEW_MS, LARGEST_SKEW_MS)
    if (atMs >= lengthMs) return faults
    const isFree = atMs >= (free.get(node) ?? 0)
    if (!isFree || atMs + durationMs > lengthMs) continue
    faults.push({ kind, atMs, durationMs, node, skewMs })
    // The database gets a rest, because a cluster without its database proves little.
    free.set(node, atMs + durationMs + (kind === 'database' ? 8_000 : 500))
  }
}

function durationOf(kind: FaultKind, leaseMs: number, between: (least: number, most: number) => number): number {
  switch (kind) {
    case 'kill':
      return between(200, 2_000)
    case 'deploy':
      return between(2_000, 4_000)
    case 'freeze':
      return between(2 * leaseMs, 3 * leaseMs)
    case 'database':
      return between(500, 2_500)
    case 'delay':
    case 'cut':
    case 'halfClose':
    case 'swallow':
      return between(500, 2 * leaseMs)
  }
}
