import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * The slowest files, from two minutes down to a quarter of one. Some compute and some wait; both kinds come first. Vitest
 * sorts new files by size, and a small file of two minutes would run alone at the end.
 */
const LONGEST = [
  'readme',
  'chaos/chaos',
  'engine/node/crash',
  'app/stop-deadline',
  'time/reference',
  'integration/demo',
  'integration/first-minutes',
  'integration/takeover',
  'engine/node/blocked',
  'integration/embed',
  'engine/claiming/rate',
  'operations/audit',
  'store/migration/migrate',
  'engine/attempt/steps',
  'integration/package',
  'cli/start',
  'dashboard/dashboard',
  'engine/claiming/admission',
  'integration/prometheus',
  'crawl/kill',
  'engine/planning/simulated-year',
  'chaos/sqlite',
  'engine/node/frozen',
  'dashboard/pages-of-time',
  'engine/refused-values',
  'integration/backfill',
  'engine/items/replay',
  'cli/init',
  'http/server',
  'engine/node/heartbeat',
  'app/shutdown',
  'service/watchdog/watchdog',
  'engine/planning/rolling-deploy',
  'app/discovery/discover',
  'engine/notices/crash',
  'job/toolchains',
  'engine/limits/fleet-limit',
  'integration/statement-size',
  'crawl/hooks',
  'cli/windows-dates',
  'integration/operator-tasks/operator-tasks',
  'integration/scenarios',
  'app/app',
  'dashboard/every-page',
  'cli/runs',
  'operations/schedules',
  'cli/look',
  'engine/attempt/commit',
  'store/connection/mysql/mysql-pool',
  'cli/broken-output',
  'engine/notices/notices',
  'engine/sqlite-gone',
  'dashboard/live',
  'crawl/fetch/nodes',
  'cli/run',
  'engine/user-functions',
  'engine/items/items',
  'cache/cache',
  'cli/backfill',
  'engine/backfill',
]

const rankOf = ({ moduleId }: TestSpecification): number => {
  const found = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return found === -1 ? LONGEST.length : found
}

/** Starts the slowest files first, so none is left over at the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((one, other) => rankOf(one) - rankOf(other))
  }
}
