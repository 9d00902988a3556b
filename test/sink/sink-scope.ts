import { DeliveryCounts } from '../../src/sink/delivery/sink-stats.ts'
import { routesOf } from '../../src/sink/routes.ts'
import type { SinkClass, SinkRules, SinkScope } from '../../src/sink/sink.ts'
import { policyOf } from '../../src/sink/sink-policy.ts'
import type { SinkTarget } from '../../src/sink/sink-target.ts'
import type { SqlDatabase } from '../../src/sql/sql.ts'
import { MemoryLog } from '../resource/resource-context.ts'

/** For sinks that write no SQL. */
const noDatabase = new Proxy({} as SqlDatabase, {
  get(_target, property) {
    throw new Error(`this test has no database, but ${String(property)} was asked for`)
  },
})

/** A run of job `orders`, without a window. */
export function sinkScope(scope: Partial<SinkScope> = {}): SinkScope {
  return {
    runId: 12,
    jobId: 'orders',
    attempt: 1,
    fence: 786_433,
    window: undefined,
    signal: new AbortController().signal,
    log: new MemoryLog(),
    sql: noDatabase,
    ...scope,
  }
}

/** The hour of 1 January 2026 that begins at `hour`. */
export function hourOf(hour: number): { readonly start: Date; readonly end: Date } {
  return { start: new Date(Date.UTC(2026, 0, 1, hour)), end: new Date(Date.UTC(2026, 0, 1, hour + 1)) }
}

/** A sink of a process, with other rules than its class has. */
export function targetOf(
  sinkClass: SinkClass,
  rules: SinkRules = {},
  name = sinkClass.name,
  parts: Pick<SinkTarget, 'deadLetters' | 'spill'> = {},
): SinkTarget {
  const policy = policyOf(name, {
    ...sinkClass,
    batchSize: sinkClass.batchSize,
    batchBytes: sinkClass.batchBytes,
    ...rules,
  })
  return { name, sink: new sinkClass(), routes: routesOf(sinkClass), policy, counts: new DeliveryCounts(), ...parts }
}
