import { describe, isOneOf } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import {
  aFunction,
  expecting,
  listOf,
  type OptionCheck,
  type OptionChecks,
  problemsText,
  readOptions,
  aText,
} from '../options.ts'
import { HOOK_KINDS, type Notice, type Notifier } from '../notice/notice.ts'

/** The options that all notifiers have. */
export interface NotifierOptions extends Partial<Pick<Notifier, 'name' | 'on' | 'jobs'>> {
  /** The address of the dashboard, for links in messages. Default: no links. */
  readonly link?: string
}

const NAME = /^[\w.-]{1,64}$/

export const aName = expecting(
  '1 to 64 letters, digits or any of _ - .',
  (value) => typeof value === 'string' && NAME.test(value),
)

/** An error message does not show the value, because the path of a webhook is a secret. */
export const anAddress: OptionCheck = (value) =>
  typeof value === 'string' && URL.canParse(value) && /^https?:/i.test(value)
    ? undefined
    : `is ${typeof value === 'string' ? 'not a web address' : describe(value)}; expected one such as "https://example.com/hook"`

export const NOTIFIER_CHECKS: OptionChecks<NotifierOptions> = {
  name: aName,
  on: listOf(
    'kinds of notices',
    expecting(`one of ${HOOK_KINDS.join(', ')}`, (value) => isOneOf(HOOK_KINDS, value)),
  ),
  jobs: listOf('globs of job ids', aText),
  link: expecting(
    'an address such as "https://piko.example.com"',
    (value) => value === '' || (typeof value === 'string' && URL.canParse(value)),
  ),
}

export const aTemplate = aFunction

/** Creates the content of a message; undefined: the default content. */
export type Template<T> = (notice: Notice) => T | undefined

/** Checks the options of a notifier. @throws PikoError `USAGE` naming every wrong option */
export function notifierOptions<T extends object>(
  call: string,
  given: T,
  checks: OptionChecks<T>,
  example: string,
  required: readonly (keyof T)[],
): T {
  const { options, problems } = readOptions<T>(given, checks, example, required)
  if (problems.length > 0) throw new PikoError('USAGE', problemsText(call, problems), { details: { problems } })
  return options as T
}

/** Returns the properties of a notifier that come directly from its options. */
export function filterOf({ on, jobs }: NotifierOptions): Pick<Notifier, 'on' | 'jobs'> {
  return { ...(on && { on }), ...(jobs && { jobs }) }
}
