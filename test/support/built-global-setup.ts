import { bundle } from '../../scripts/bundle.ts'

/** The command line's tests run the built package, so it must be that of today's source. */
export default async function setup(): Promise<void> {
  await bundle()
}
