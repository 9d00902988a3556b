import { InvalidArgumentError } from 'commander'

/** Parses the value of `--limit`. */
export function parseLimit(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a whole number from 1 to 999999')
}
