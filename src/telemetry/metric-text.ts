import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Metric } from 'prom-client'

/** How many values are processed in one turn of the event loop. */
const SLICE = 200

/**
 * Returns the text of a metric without buckets. It is written in several turns: prom-client would use one turn, which blocks the event loop
 * if thousands of jobs have a value each.
 */
export async function metricText(metric: Metric): Promise<string> {
  const { name, help, type, values } = await metric.get()
  const head = `# HELP ${name} ${help}\n# TYPE ${name} ${String(type)}`
  return withLines(head, values, ({ labels, value }) => `${name}${labelsText(labels)} ${numberText(value)}`)
}

/**
 * Returns a string followed by the lines of many items. Each slice is joined in its own turn, because joining megabytes also takes a long
 * time.
 */
export async function withLines<T>(head: string, items: readonly T[], linesOf: (item: T) => string): Promise<string> {
  let text = head
  await inTurns(items, (slice) => (text += `\n${slice.map(linesOf).join('\n')}`))
  return text
}

/** Processes the items in slices, with a turn of the event loop between them. */
export async function inTurns<T>(items: readonly T[], look: (slice: readonly T[]) => void): Promise<void> {
  for (let from = 0; from < items.length; from += SLICE) {
    if (from > 0) await nextTurn()
    look(items.slice(from, from + SLICE))
  }
}

export function labelsText(labels: Readonly<Partial<Record<string, string | number>>>): string {
  const texts = Object.entries(labels).map(([label, value]) => `${label}="${escaped(String(value))}"`)
  return texts.length === 0 ? '' : `{${texts.join(',')}}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

function numberText(value: number): string {
  return Number.isNaN(value) ? 'Nan' : String(value).replace(/^(-?)Infinity$/, (_, sign) => `${sign || '+'}Inf`)
}
