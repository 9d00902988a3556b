import { PrepareRun } from '../../src/engine/prepare-run.ts'
import { Executor, type ExecutorParts } from '../../src/engine/execution/executor.ts'
import { ResourcePool } from '../../src/resource/resource-pool.ts'
import { SinkPool } from '../../src/sink/sink-pool.ts'
import { type Store } from '../../src/store/store.ts'
import { createLogger } from '../../src/telemetry/log.ts'

/** The parts that a test chooses. */
type Given = Pick<ExecutorParts, 'registry' | 'events' | 'clock' | 'nodeId' | 'holdsLease'> & Partial<ExecutorParts>

/** An executor with ten slots on a store. */
export function executorOn(store: Store, given: Given): Executor {
  const log = createLogger({ level: 'silent', json: true, name: 'test' })
  const resources = new ResourcePool()
  const sinks = new SinkPool({ sql: store.database.sql, log })
  return new Executor({
    borrow: (map, ctx) => resources.borrow(map, ctx),
    sinksFor: (map, scope) => sinks.forRun(map, scope),
    sql: store.database.sql,
    runs: store.runs,
    rates: store.rates,
    commit: store.commit,
    maxOutputBytes: () => store.database.maxValueBytes,
    prepare: new PrepareRun(() => undefined),
    onDeadline: () => {},
    lock: () => Promise.reject(new Error('no lock is asked for')),
    runLog: () => log,
    random: () => 0,
    graceMs: 100,
    slots: 10,
    shutdownTimeoutMs: 1_000,
    ...given,
  })
}
