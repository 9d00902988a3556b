import { number } from './table.ts'

export interface Bar {
  readonly label: string
  readonly median: number
  readonly min: number
  readonly max: number
  readonly isOurs: boolean
}

const WIDTH = 720
const LABELS = 190
const VALUES = 90
const ROW = 26
const TOP = 34

/** Horizontal bars of medians with whiskers from min to max. Drawn by hand, because a chart library would be larger than all the charts. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ max }) => max), Number.MIN_VALUE)
  const scale = (value: number): number => (value / most) * (WIDTH - LABELS - VALUES)
  const rows = bars.map(({ label, median, min, max, isOurs }, index) => {
    const y = TOP + index * ROW
    const middle = y + ROW / 2
    const [from, to] = [LABELS + scale(min), LABELS + scale(max)]
    return `  <text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end">${escape(label)}</text>
  <rect x="${LABELS}" y="${y + 4}" width="${round(scale(median))}" height="${ROW - 8}" fill="${isOurs ? '#2563eb' : '#94a3b8'}"/>
  <path d="M${round(from)} ${middle}H${round(to)}" stroke="#0f172a" stroke-width="1"/>
  <text x="${round(to) + 6}" y="${middle + 4}">${number(median)}</text>`
  })
  const height = TOP + bars.length * ROW + 8
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12" role="img">
  <title>${escape(title)}</title>
  <rect width="100%" height="100%" fill="#ffffff"/>
  <text x="8" y="20" font-weight="bold">${escape(title)}</text>
${rows.join('\n')}
</svg>
`
}

const round = (value: number): number => Math.round(value * 10) / 10

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
