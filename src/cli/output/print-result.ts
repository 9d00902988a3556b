import { visibleJson } from '../../visible.ts'

/** Writes what a command found to standard output: one line of JSON, or lines for people. */
export function printResult(json: boolean, data: object, text: () => string): void {
  process.stdout.write(`${json ? visibleJson(data) : text()}\n`)
}

/** `2026-01-01T00:00:00Z`; fractions only where there are some. */
export function instantText(date: Date | null | undefined): string {
  return date?.toISOString().replace('.000Z', 'Z') ?? '-'
}
