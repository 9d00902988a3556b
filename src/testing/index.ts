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
export { startTestApp, type TestAppOptions } from './test-app.ts'
