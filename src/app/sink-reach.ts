import { callSink } from '../sink/delivery/call-sink.ts'
import { isOutage } from '../sink/delivery/outage.ts'
import { restored } from '../sink/delivery/redeliver.ts'
import { rowOfText } from '../sink/delivery/row-text.ts'
import type { Logger } from '../logger.ts'
import type { Settings } from '../settings/settings.ts'
import { policyOf } from '../sink/sink-policy.ts'
import type { SinksService } from '../sink/sinks-service.ts'
import type { Store } from '../store/store.ts'
import type { SinkReach } from '../operations/reach.ts'
import { spillApp } from './durable-sinks.ts'

interface Parts {
  readonly store: Store
  readonly sinks: SinksService
  readonly settings: Settings
  readonly log: Logger
}

/** Lets operations reach the sinks of this process and the spill folder of this host. */
export function sinkReach({ store, sinks, settings, log }: Parts): SinkReach {
  return {
    async files(names) {
      const { spillFiles } = await import('../sink/spill/spill-files.ts')
      const app = spillApp(settings.piko.name, await store.spills.identity())
      return spillFiles(settings.sinks.spillDir, app, names)
    },
    async redeliver(sinkClass, row, signal) {
      const target = await sinks.pool.opened(sinkClass)
      const route = [...target.routes.values()].find(({ modelName }) => modelName === row.route)
      if (!route) return false
      const { jobId, runId, attempt, fence, window, batchKey, place } = row
      const scope = { jobId, runId, attempt, fence, window, signal, log, sql: store.database.sql }
      // Index 0 would delete the rows of the window, so this batch has index 1.
      const batch = { ...scope, index: 1, key: `${batchKey}/dead:${place}` }
      await callSink(target, route, restored(route, [rowOfText(row.content)]), batch, row.content.length)
      return true
    },
    isOutage: (sinkClass, error) => isOutage(error, policyOf(sinkClass.name, sinkClass).spill?.isOutage),
  }
}
