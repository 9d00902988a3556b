import { type Settings } from '../../settings/settings.ts'

const ENDINGS = '{ts,mts,cts,js,mjs,cjs}'

/** Where jobs are looked for: `[piko] jobs`, or in a directory without settings the usual places. */
export function jobGlobs({ piko }: Settings): readonly string[] {
  return piko.jobs.length > 0 ? piko.jobs : [`jobs/**/*.${ENDINGS}`, `src/jobs/**/*.${ENDINGS}`, `jobs.${ENDINGS}`]
}
