export { ManualClock } from './manual-clock.ts'
export { FixtureSite, fixtureSite } from './site/fixture-site.ts'
export type {
  FixtureFailures,
  FixtureGraph,
  FixtureLogEntry,
  FixturePage,
  FixtureRequest,
  FixtureSiteOptions,
} from './site/fixture-types.ts'
export type { GivenAnswer, GivenPage } from './given-pages.ts'
export type { RecordedRows } from './recorded-sinks.ts'
export { type EnqueuedFilter, expectEnqueued } from './expect-enqueued.ts'
export type { AddedItem } from './run/memory-parts.ts'
export { type LoggedLine, runJob, type RunJobOptions, type RunJobResult } from './run/run-job.ts'
export { simulate, type SimulateOptions, type Simulation } from './simulate.ts'
export { type AdvanceBy, startTestApp, type TestApp, type TestAppOptions } from './test-app.ts'
export { testCrawl, type TestCrawlOptions, type TestedCrawl, type TestedItem } from './test-crawl.ts'
