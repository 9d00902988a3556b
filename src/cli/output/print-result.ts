import { visibleJson } from '../../visible.ts'

/** Writes a command's result to standard output: one line of JSON, or lines of text. */
export function printResult(json: boolean, data: object, text: () => string): void {
  process.stdout.write(`${json ? visibleJson(data) : text()}\n`)
}

/** Formats an instant, such as `2026-01-01T00:00:00Z`. A fraction is shown only if it is not zero. Without an instant: `-`. */
export function instantText(date: Date | null | undefined): string {
  return date?.toISOString().replace('.000Z', 'Z') ?? '-'
}
