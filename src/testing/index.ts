export { ManualClock } from './manual-clock.ts'
export { startTestApp, type TestAppOptions } from './test-app.ts'
