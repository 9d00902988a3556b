import type { Settings } from '../../settings/settings.ts'

const ENDINGS = '{ts,mts,cts,js,mjs,cjs}'

/** Returns the globs of the job files: `[piko] jobs`, or the default files and folders if that setting is empty. */
export function jobGlobs({ piko }: Settings): readonly string[] {
  return piko.jobs.length > 0 ? piko.jobs : [`jobs/**/*.${ENDINGS}`, `src/jobs/**/*.${ENDINGS}`, `jobs.${ENDINGS}`]
}
