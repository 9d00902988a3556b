import { InvalidArgumentError } from 'commander'

/** Parses the value of `--priority`. @throws InvalidArgumentError */
export function parsePriority(text: string): number {
  const priority = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(priority)) return priority
  throw new InvalidArgumentError('expected a whole number')
}
