import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { format } from 'oxfmt'
import { goals } from './goals.ts'
import { growthTable } from './growth-table.ts'
import { barChart } from './harness/bar-chart.ts'
import type { Line } from './harness/line.ts'
import { number } from './harness/table.ts'

const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
const RESULTS = fileURLToPath(new URL('../docs/performance/results.md', import.meta.url))
const CHARTS = fileURLToPath(new URL('../docs/performance/', import.meta.url))

/** The measurements that the page shows as charts; tables are enough for the others. */
const CHARTED: readonly (readonly [bench: string, scene: string, measure: string])[] = [
  ['throughput', 'mysql, 20,000 runs', 'process'],
  ['throughput', 'mysql, 20,000 runs', 'enqueue'],
  ['throughput', 'mysql, binlog, 20,000 runs', 'process'],
  ['throughput', 'sqlite, 20,000 runs', 'process'],
  ['enqueue-one', 'mysql', 'enqueue one by one'],
  ['crawl', 'mysql, 500 items', 'items'],
]

/**
 * Writes the measurements in the files between the markers of docs/performance.md and docs/performance/results.md (`<!-- bench throughput
 * -->` to `<!-- /bench -->`), and the charts. A part without lines in the files stays unchanged. Of several measurements of the same thing,
 * the newest is shown.
 */
export async function report(argv: readonly string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      page: { type: 'string', default: PAGE },
      results: { type: 'string', default: RESULTS },
      charts: { type: 'string', default: CHARTS },
    },
  })
  if (positionals.length === 0) throw new Error('no file is named; expected those that "bench -- all --out" wrote')
  const lines = newest(positionals.flatMap((file) => parse(readFileSync(file, 'utf8'))))
  drawCharts(lines, values.charts)
  for (const file of [values.page, values.results]) {
    const text = readFileSync(file, 'utf8').replace(
      /(<!-- bench ([\w-]+) -->\n)([^]*?)(<!-- \/bench -->)/g,
      (_, begin: string, bench: string, shown: string, end: string) =>
        `${begin}\n${part(bench, lines, shown.trim())}\n\n${end}`,
    )
    writeFileSync(file, (await format(file, text, { printWidth: 120 })).code)
  }
  process.stderr.write(`${lines.length} measurements are in ${values.page} and ${values.results}\n`)
}

function part(name: string, lines: readonly Line[], shown: string): string {
  if (name === 'machine') return machines(lines, shown)
  if (name === 'charts') return CHARTED.map(chartText).join('\n\n')
  if (name === 'goals') return withEarlier(goals(lines), shown)
  if (name === 'growth') return withEarlier(growthTable(lines), shown)
  const own = lines.filter(({ bench }) => bench === name)
  return own.length === 0 ? shown : section(own)
}

/** The table, with rows of the shown table whose first cells it does not have. */
function withEarlier(table: string, shown: string): string {
  const [head, rule, ...earlier] = shown.split('\n').filter((line) => line.startsWith('|'))
  const [ownHead = head, ownRule = rule, ...own] = table.split('\n').filter((line) => line.startsWith('|'))
  const keyOfRow = (row: string): string =>
    row
      .split('|')
      .slice(1, 4)
      .map((cell) => cell.trim())
      .join('|')
  const rows = new Map([...earlier, ...own].map((row) => [keyOfRow(row), row]))
  return ownHead === undefined || ownRule === undefined ? table : [ownHead, ownRule, ...rows.values()].join('\n')
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

function machines(lines: readonly Line[], shown: string): string {
  const [earlier = ''] = shown.split('. Measured ')
  const texts = lines.map(({ machine, versions }) => {
    const { cpus, cpu, memoryGb, platform } = machine
    return `${String(cpus)} CPUs (${String(cpu)}), ${String(memoryGb)} GB of memory, ${String(platform)}, Node ${versions['node']}`
  })
  const seen = new Set([...earlier.split('; ').filter((text) => text.includes('CPUs')), ...texts])
  const days = [...(shown.match(/\d{4}-\d\d-\d\d/g) ?? []), ...lines.map(({ at }) => at.slice(0, 10))].toSorted()
  return lines.length === 0 ? shown : `${[...seen].join('; ')}. Measured ${days[0]} to ${days.at(-1)}.`
}

function section(lines: readonly Line[]): string {
  return [...Map.groupBy(lines, ({ scene }) => scene)]
    .map(([scene, own]) => `### ${scene}\n\n${tableOf(own)}\n\n${settingsOf(own)}`)
    .join('\n\n')
}

const chartName = (charted: (typeof CHARTED)[number]): string =>
  `${charted
    .join('-')
    .replaceAll('µ', 'u')
    .replaceAll(/[^a-z0-9]+/gi, '-')
    .toLowerCase()}.svg`

function chartText(charted: (typeof CHARTED)[number]): string {
  const [bench, scene, measure] = charted
  return `![${bench}, ${scene}: ${measure}](performance/${chartName(charted)})`
}

function drawCharts(lines: readonly Line[], folder: string): void {
  mkdirSync(folder, { recursive: true })
  for (const charted of CHARTED) {
    const [bench, scene, measure] = charted
    const own = lines.filter((line) => line.bench === bench && line.scene === scene && line.measure === measure)
    if (own.length === 0) continue
    const bars = own.map((line) => ({ label: nameOf(line), isOurs: line.system === 'piko', ...line }))
    const title = `${bench}, ${scene}: ${measure} (${own[0]!.unit})`
    writeFileSync(`${folder}/${chartName(charted)}`, barChart(title, bars))
  }
}

/** A table of lines. The last column compares with Piko if the same was measured for both. */
function tableOf(lines: readonly Line[]): string {
  const byMeasure = [...Map.groupBy(lines, ({ measure }) => measure).values()].flat()
  const rows = byMeasure.map((line) => {
    const ours = lines.find(({ system, measure }) => system === 'piko' && measure === line.measure)
    const ratio =
      ours && ours !== line && line.system !== 'piko' ? `${number((ours.median / line.median) * 100)} %` : ''
    const range = `${number(line.min)} – ${number(line.max)}`
    return [line.measure, nameOf(line), number(line.median), range, line.unit, ratio]
  })
  const head = ['measure', 'system', 'median', 'min – max', 'unit', 'Piko / this system']
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
