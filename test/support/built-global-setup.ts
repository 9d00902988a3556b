import { bundle } from '../../scripts/bundle.ts'
import { buildStaleDashboard } from '../../scripts/dashboard.ts'

/** The tests of the command line run the built package and those of the dashboard its pages, so both must be of today's source. */
export default async function setup(): Promise<void> {
  await bundle()
  await buildStaleDashboard()
}
