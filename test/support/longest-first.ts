import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * The slowest files, from two minutes down to twenty seconds. Some compute and some wait; both kinds come first. Vitest
 * sorts new files by size, and a small file of two minutes would run alone at the end.
 */
const LONGEST = [
  'chaos/chaos',
  'time/reference',
  'integration/demo',
  'engine/node/crash',
  'integration/backfill',
  'cli/start',
  'app/stop-deadline',
  'engine/planning/simulated-year',
  'integration/takeover',
  'cli/backfill',
  'integration/package',
  'engine/claiming/rate',
  'cli/run',
  'readme',
  'engine/node/blocked',
  'cli/broken-output',
  'cli/config',
  'cli/runs',
  'cli/look',
  'store/migration/migrate',
  'job/toolchains',
  'engine/claiming/admission',
  'app/app',
  'app/cycles',
  'chaos/sqlite',
  'engine/enqueue',
  'time/generations',
  'app/shutdown',
  'integration/hostile-server',
  'engine/planning/rolling-deploy',
  'engine/node/heartbeat',
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
