import { globSync } from 'node:fs'
import { type Figures, figuresOf, type Spread, violationsOf } from './house/figures.ts'
import { readSource } from './house/source-file.ts'
import { TIERS } from './house/tiers.ts'

// Prints the figures of the source tree. With --check, fails if a rule of the house is broken. With --json, prints everything as JSON.
const flags = new Set(process.argv.slice(2))
const figures = figuresOf(globSync('src/**/*.{ts,tsx}').sort().map(readSource), 'src', TIERS)
const violations = violationsOf(figures)
console.log(flags.has('--json') ? JSON.stringify({ figures, violations }, null, 2) : tableOf(figures).join('\n'))
if (violations.length > 0 && !flags.has('--json')) console.log(`\n${violations.join('\n')}`)
if (flags.has('--check') && violations.length > 0) process.exitCode = 1

function tableOf(all: Figures): string[] {
  const spread = ({ median, p90, max }: Spread): string => `${median} / ${p90} / ${max}`
  const rows: [string, string | number][] = [
    ['source files', all.files],
    ['lines', all.lines],
    ['lines a file (median / p90 / max)', spread(all.fileLines)],
    ['functions', all.functions],
    ['lines a function (median / p90 / max)', spread(all.functionLines)],
    [
      'largest folders',
      all.folders
        .slice(0, 8)
        .map((one) => `${one.folder} ${one.files}`)
        .join(', '),
    ],
    ['import cycles at run time', all.runtimeCircles.length],
    ['import cycles with types', all.circlesWithTypes.length],
    ['upward imports', all.upwardImports.length],
    ['files over 350 lines without a reason', all.longFiles.length],
    ['casts', all.casts],
    ['any', all.anys],
  ]
  return ['| figure | value |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)]
}
