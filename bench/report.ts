import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { format } from 'prettier'
import { goals } from './goals.ts'
import { growthTable } from './growth-table.ts'
import { barChart } from './harness/bar-chart.ts'
import { type Line } from './harness/line.ts'
import { number } from './harness/table.ts'

const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
const CHARTS = fileURLToPath(new URL('../docs/performance/', import.meta.url))

/** Measures that a chart makes clearer; of the rest the table is enough. */
const CHARTED = ['process', 'enqueue', 'enqueue one by one', 'begin p50', 'tasks', 'items', 'lateness p99']

/**
 * Writes what the files have between the markers of docs/performance.md (`<!-- bench throughput -->` to `<!-- /bench -->`), and
 * its charts. Of a measurement that was made more than once the newest counts.
 */
export async function report(argv: readonly string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { page: { type: 'string', default: PAGE }, charts: { type: 'string', default: CHARTS } },
  })
  if (positionals.length === 0) throw new Error('no file is named; expected those that "bench -- all --out" wrote')
  const lines = newest(positionals.flatMap((file) => parse(readFileSync(file, 'utf8'))))
  mkdirSync(values.charts, { recursive: true })
  const page = readFileSync(values.page, 'utf8').replace(
    /(<!-- bench ([\w-]+) -->\n)[^]*?(<!-- \/bench -->)/g,
    (_, begin: string, bench: string, end: string) => {
      return `${begin}\n${part(bench, lines, values.charts)}\n\n${end}`
    },
  )
  writeFileSync(values.page, await format(page, { parser: 'markdown', printWidth: 120 }))
  process.stderr.write(`${lines.length} measurements are in ${values.page}\n`)
}

function part(name: string, lines: readonly Line[], charts: string): string {
  if (name === 'machine') return machines(lines)
  if (name === 'goals') return goals(lines)
  if (name === 'growth') return growthTable(lines)
  const own = lines.filter(({ bench }) => bench === name)
  return section(name, own, charts)
}

function parse(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Partial<Line>)
    .filter((line): line is Line => line.bench !== undefined && line.median !== undefined && line.scene !== undefined)
}

const keyOf = ({ bench, scene, system, variant, measure }: Line): string =>
  JSON.stringify([bench, scene, system, variant, measure])

function newest(lines: readonly Line[]): Line[] {
  return [...new Map(lines.map((line) => [keyOf(line), line])).values()]
}

function machines(lines: readonly Line[]): string {
  const seen = new Set(
    lines.map(({ machine, versions }) => {
      const { cpus, cpu, memoryGb, platform } = machine
      return `${String(cpus)} CPUs (${String(cpu)}), ${String(memoryGb)} GB of memory, ${String(platform)}, Node ${versions['node']}`
    }),
  )
  const days = lines.map(({ at }) => at.slice(0, 10)).toSorted()
  return days.length === 0 ? '_Not measured yet._' : `${[...seen].join('; ')}. Measured ${days[0]} to ${days.at(-1)}.`
}

function section(bench: string, lines: readonly Line[], charts: string): string {
  if (lines.length === 0) return '_Not measured yet._'
  return [...Map.groupBy(lines, ({ scene }) => scene)]
    .map(
      ([scene, own]) => `### ${scene}\n\n${chartsOf(bench, scene, own, charts)}${tableOf(own)}\n\n${settingsOf(own)}`,
    )
    .join('\n\n')
}

function chartsOf(bench: string, scene: string, lines: readonly Line[], folder: string): string {
  return [...Map.groupBy(lines, ({ measure }) => measure)]
    .filter(([measure, own]) => CHARTED.includes(measure) && own.length > 1)
    .map(([measure, own]) => {
      const name = `${bench}-${scene}-${measure}`.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()
      const bars = own.map((line) => ({ label: nameOf(line), isOurs: line.system === 'piko', ...line }))
      const title = `${bench}, ${scene}: ${measure} (${own[0]!.unit})`
      writeFileSync(`${folder}/${name}.svg`, barChart(title, bars))
      return `![${title}](performance/${name}.svg)\n\n`
    })
    .join('')
}

/** The last column compares with Piko where the same was measured of both. */
function tableOf(lines: readonly Line[]): string {
  const byMeasure = [...Map.groupBy(lines, ({ measure }) => measure).values()].flat()
  const rows = byMeasure.map((line) => {
    const ours = lines.find(({ system, measure }) => system === 'piko' && measure === line.measure)
    const ratio =
      ours && ours !== line && line.system !== 'piko' ? `${number((ours.median / line.median) * 100)} %` : ''
    const range = `${number(line.min)} – ${number(line.max)}`
    return [line.measure, nameOf(line), number(line.median), range, line.unit, ratio]
  })
  const head = ['measure', 'system', 'median', 'min – max', 'unit', 'Piko is at']
  return [head, ['---', '---', '--:', '--:', '---', '--:'], ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

function settingsOf(lines: readonly Line[]): string {
  const said = new Map(
    lines.map((line) => {
      const versions = Object.entries(line.versions).filter(([name]) => name !== 'node')
      const settings = Object.entries(line.settings)
      const list = [...versions, ...settings].map(([name, value]) => `${name} ${String(value)}`).join(', ')
      return [nameOf(line), `- ${nameOf(line)}: ${list}`]
    }),
  )
  const rounds = Math.min(...lines.map((line) => line.rounds.length))
  const items = [...said.values()].join('\n')
  return `<details><summary>Rounds: ${rounds}. Versions and settings</summary>\n\n${items}\n\n</details>`
}

function nameOf({ system, variant }: Line): string {
  return `${system} ${variant}`.trim()
}
