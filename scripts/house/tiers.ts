import { type Tiers } from './figures.ts'

/** The direction of imports in `src/`, lowest tier first: a room may import every tier before its own, type imports included. */
export const TIERS: Tiers = [
  ['errors.ts', 'errors-read.ts', 'database-faults.ts'],
  ['thread-module.ts', 'node-version.ts', 'option-function.ts', 'time'],
  ['job', 'resource', 'sink', 'service'],
  ['settings', 'telemetry', 'offload', 'store'],
  ['engine'],
  ['http', 'testing', 'index.ts'],
  ['cli'],
]
