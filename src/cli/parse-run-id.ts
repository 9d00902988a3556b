import { InvalidArgumentError } from 'commander'

/** @throws InvalidArgumentError for what is no number of a run */
export function parseRunId(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected the number of a run')
}
