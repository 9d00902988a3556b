import type { Settings } from '../../settings/settings.ts'

const ENDINGS = '{ts,mts,cts,js,mjs,cjs}'

/** Where Piko searches for jobs: `[piko] jobs`, or the usual files and folders if there is no such setting. */
export function jobGlobs({ piko }: Settings): readonly string[] {
  return piko.jobs.length > 0 ? piko.jobs : [`jobs/**/*.${ENDINGS}`, `src/jobs/**/*.${ENDINGS}`, `jobs.${ENDINGS}`]
}
