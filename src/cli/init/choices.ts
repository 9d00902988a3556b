/** The choices for a new project. */
export interface Choices {
  readonly language: 'ts' | 'js'
  /** `decorators` needs TypeScript, because Node can't run decorators in JavaScript. */
  readonly style: 'decorators' | 'functions'
  /** The DSN of the database; undefined: the embedded SQLite file. */
  readonly dsn: string | undefined
}

/** The flags of `piko init`. */
export interface ChoiceFlags {
  readonly ts?: boolean
  readonly js?: boolean
  readonly decorators?: boolean
  readonly functions?: boolean
  readonly sqlite?: boolean
  readonly dsn?: string
}

/** Asks one question, and returns the answer. */
export type Ask = (question: string) => Promise<string>

const CODE = `How do you write your jobs?
  1  TypeScript with decorators: @job({ … }) on methods of a class
  2  TypeScript with functions: defineJob({ … }, handler)
  3  JavaScript with functions
Answer (1): `

const STORE =
  'Which MySQL or MariaDB keeps the state? mysql://user:password@host/database, or Enter for an SQLite file: '

const DSN = /^(?:mysql|mariadb)(?:\+\w+)?:\/\/[^/]+\/./

/** Returns the problem of the flags, or undefined. Pure. */
export function problemOf({ ts, js, decorators, functions, sqlite, dsn }: ChoiceFlags): string | undefined {
  if (ts && js) return '--ts and --js exclude each other'
  if (decorators && functions) return '--decorators and --functions exclude each other'
  if (js && decorators) return 'Node runs no decorators in JavaScript; use --ts --decorators or --js --functions'
  if (sqlite && dsn !== undefined) return 'the options name both SQLite and a DSN; leave one of them out'
  if (dsn !== undefined && !DSN.test(dsn))
    return `the DSN does not begin with mysql:// or mariadb://; expected mysql://user:password@host:3306/database`
  return undefined
}

/**
 * Asks for the language and style, and for the database, unless a flag has chosen.
 *
 * @param ask undefined without a terminal. The defaults are then TypeScript, decorators (JavaScript: functions) and SQLite
 */
export async function choicesOf(flags: ChoiceFlags, ask: Ask | undefined): Promise<Choices> {
  const isOpen = !flags.ts && !flags.js && !flags.decorators && !flags.functions
  const code =
    isOpen && ask ? await answer(ask, CODE, { '': DECORATED, '1': DECORATED, '2': TYPED, '3': PLAIN }) : flags
  const language = code.js ? 'js' : 'ts'
  const style = code.functions || language === 'js' ? 'functions' : 'decorators'
  const dsn = flags.dsn ?? (flags.sqlite || !ask ? '' : await storeFrom(ask))
  return { language, style, dsn: dsn === '' ? undefined : dsn }
}

const DECORATED: ChoiceFlags = { ts: true, decorators: true }
const TYPED: ChoiceFlags = { ts: true, functions: true }
const PLAIN: ChoiceFlags = { js: true, functions: true }

async function answer<T>(ask: Ask, question: string, answers: Readonly<Record<string, T>>): Promise<T> {
  for (;;) {
    const found = answers[(await ask(question)).trim()]
    if (found !== undefined) return found
  }
}

async function storeFrom(ask: Ask): Promise<string> {
  for (;;) {
    const dsn = (await ask(STORE)).trim()
    if (dsn === '' || DSN.test(dsn)) return dsn
  }
}
