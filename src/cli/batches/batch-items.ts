import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { InvalidArgumentError } from 'commander'
import { headline, messageOf } from '../../errors-read.ts'
import { isPikoError, PikoError } from '../../errors.ts'
import { MAX_BATCH_ITEMS } from '../../operations/batches/batch-request.ts'
import { parseJson } from '../parse/parse-json.ts'

const MAX_PROBLEMS = 20

/**
 * Reads the items of a batch: each line of the file is the JSON of one run's input. `-` is standard input. Skips blank lines.
 *
 * @returns the items, and the number of each item's line, from 1
 * @throws PikoError `USAGE` if the file can't be read, has too many items, or has wrong lines; names the first 20 of these
 */
export async function readItems(file: string): Promise<{
  readonly items: readonly { readonly input: unknown }[]
  readonly lines: readonly number[]
}> {
  const input = file === '-' ? process.stdin : createReadStream(file, 'utf8')
  const items: { readonly input: unknown }[] = []
  const lines: number[] = []
  const problems: string[] = []
  let number = 0
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {}) // The stream may fail after the race below has ended; then this listener handles the error.
  input.once('error', failed.reject)
  const reading = (async () => {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number += 1
      if (line.trim() === '') continue
      if (items.length === MAX_BATCH_ITEMS)
        throw new PikoError('USAGE', `${file} has more than ${MAX_BATCH_ITEMS} items; split it`)
      const item = parsed(line)
      if ('input' in item) {
        items.push(item)
        lines.push(number)
      } else if (problems.push(`line ${number}: ${item.problem}`) === MAX_PROBLEMS) break
    }
  })()
  try {
    await Promise.race([reading, failed.promise])
  } catch (thrown) {
    if (isPikoError(thrown)) throw thrown
    throw new PikoError('USAGE', `--items ${file} can't be read: ${headline(thrown)}`)
  }
  if (problems.length > 0) throw new PikoError('USAGE', `--items ${file}: ${problems.join('; ')}`)
  return { items, lines }
}

/** Returns the error of a batch with the lines of the file in place of the indexes of the items. */
export function withLines(thrown: unknown, lines: readonly number[]): unknown {
  if (!isPikoError(thrown)) return thrown
  const refused = thrown.details['items']
  if (!Array.isArray(refused)) return thrown
  const items = refused.map((item: { readonly index: number }) => ({ line: lines[item.index], ...item }))
  const message = items.reduce(
    (text, { index, line }) => text.replace(new RegExp(`^item ${index}: `, 'm'), `line ${line} (item ${index}): `),
    thrown.message,
  )
  return new PikoError(thrown.code, message, { cause: thrown.cause, details: { ...thrown.details, items } })
}

function parsed(line: string): { readonly input: unknown } | { readonly problem: string } {
  try {
    return { input: parseJson(line) }
  } catch (thrown) {
    if (thrown instanceof InvalidArgumentError) return { problem: messageOf(thrown) }
    throw thrown
  }
}
