import { InvalidArgumentError } from 'commander'

/** @throws InvalidArgumentError unless the text is the number of a run */
export const parseRunId = (text: string): number => parseId(text, 'a run')

/** @throws InvalidArgumentError unless the text is the number of a backfill */
export const parseBackfillId = (text: string): number => parseId(text, 'a backfill')

/** @throws InvalidArgumentError unless the text is the number of a batch */
export const parseBatchId = (text: string): number => parseId(text, 'a batch')

/** @throws InvalidArgumentError unless the text is the number of an item */
export const parseItemId = (text: string): number => parseId(text, 'an item')

/** @throws InvalidArgumentError unless the text is the number of a row of the audit */
export const parseAuditId = (text: string): number => parseId(text, 'a change in the audit')

function parseId(text: string, what: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new InvalidArgumentError(`expected the number of ${what}`)
}
