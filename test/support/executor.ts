import { PrepareRun } from '../../src/engine/prepare-run.ts'
import { Executor, type ExecutorParts } from '../../src/engine/execution/executor.ts'
import { LoopHealth } from '../../src/engine/loop/loop-health.ts'
import { ResourcePool } from '../../src/resource/resource-pool.ts'
import { SinkPool } from '../../src/sink/sink-pool.ts'
import { createLogger } from '../../src/telemetry/log.ts'

/** The parts that a test chooses. */
type Given = Pick<ExecutorParts, 'store' | 'registry' | 'events' | 'clock' | 'nodeId' | 'holdsLease'>

/** An executor with ten slots. */
export function executorOf(given: Given): Executor {
  const log = createLogger({ level: 'silent', json: true, name: 'test' })
  return new Executor({
    ...given,
    loops: new LoopHealth(given),
    resources: new ResourcePool(),
    sinks: new SinkPool({ env: { sql: given.store.database.sql, log } }),
    prepare: new PrepareRun(() => undefined),
    locks: { acquire: () => Promise.reject(new Error('no lock is asked for')) },
    shared: {
      handle: () => {
        throw new Error('no shared value is asked for')
      },
    },
    caches: {
      forRun: () => {
        throw new Error('no cache is asked for')
      },
    },
    progress: { report: () => {} },
    onDeadline: () => {},
    runLog: () => log,
    random: () => 0,
    graceMs: 100,
    concurrency: 10,
    shutdownTimeoutMs: 1_000,
  })
}
