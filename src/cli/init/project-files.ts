import type { Choices } from './choices.ts'
import { HELLO_FUNCTION, HELLO_TEST, HELLO_TS_CLASS } from './job-files.ts'

/** The files of a project: paths relative to its folder, with their contents. */
export type ProjectFiles = ReadonlyMap<string, string>

/**
 * Creates the files of a new project, without `package.json`. Pure.
 *
 * @param start the start of the first window of its job
 */
export function projectFiles(choices: Choices, start: Date): ProjectFiles {
  const { language, style, dsn } = choices
  const job = language === 'ts' && style === 'decorators' ? HELLO_TS_CLASS : HELLO_FUNCTION
  const name = style === 'decorators' ? 'Jobs' : 'daily'
  const isSecret = dsn !== undefined && passwordOf(dsn) !== ''
  return new Map([
    [`jobs/hello.${language}`, job.replaceAll('START', `${start.toISOString().slice(0, 10)}T00:00:00Z`)],
    [`test/hello.test.${language}`, HELLO_TEST.replaceAll('JOBS', name).replaceAll('ENDING', language)],
    ...(language === 'ts' ? [['tsconfig.json', TSCONFIG] as const] : []),
    ['settings.toml', settingsToml(dsn)],
    ...(isSecret ? [['settings.example.toml', settingsToml(withoutPassword(dsn))] as const] : []),
    ['Dockerfile', DOCKERFILE],
    ['.dockerignore', ['.git', '.piko', 'node_modules', ...(isSecret ? ['settings.toml'] : []), ''].join('\n')],
    ['.gitignore', ['.piko', 'node_modules', ...(isSecret ? ['settings.toml'] : []), ''].join('\n')],
    ['README.md', readme(choices, isSecret)],
  ])
}

/**
 * Creates the scripts and packages of `package.json`. Pure.
 *
 * @param piko the specifier of Piko's package
 * @param node the specifier of Node's package, if the project needs its own Node
 */
export function manifestOf({ language, style }: Choices, piko: string, node?: string): Manifest {
  const runner = language === 'js' ? 'node --test' : style === 'decorators' ? 'tsx --test' : 'node --test'
  return {
    type: 'module',
    private: true,
    scripts: {
      dev: 'piko dev',
      // Without exec, the shell that npm starts would not pass SIGTERM to Piko.
      start: 'exec piko start',
      test: `${runner} "test/*.test.${language}"`,
      ...(language === 'ts' && { check: 'tsc --noEmit' }),
    },
    dependencies: { piko },
    devDependencies: {
      ...(language === 'ts' && { '@types/node': '^24.0.0', typescript: '~6.0' }),
      ...(language === 'ts' && style === 'decorators' && { tsx: '^4.23.0' }),
      ...(node !== undefined && { node }),
    },
  }
}

export interface Manifest {
  readonly type: string
  readonly private: boolean
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const passwordOf = (dsn: string): string => /^[^:]+:\/\/[^:@/]*:([^@]*)@/.exec(dsn)?.[1] ?? ''
const withoutPassword = (dsn: string): string => dsn.replace(/^([^:]+:\/\/[^:@/]*):[^@]*@/, '$1:PASSWORD@')

function settingsToml(dsn: string | undefined): string {
  return `# Every key, with its default and an explanation: node_modules/piko/settings.example.toml
# An environment variable takes precedence: PIKO_LOG_LEVEL=debug, PIKO_MYSQL__DSN=mysql://…

[piko]
log_level = "info"

${dsn === undefined ? '# Without a DSN the state is in the file .piko/piko.db.\n# [mysql]\n# dsn = "mysql://user:password@host:3306/database"' : `[mysql]\ndsn = ${JSON.stringify(dsn)}`}
`
}

const TSCONFIG = `{
  "compilerOptions": {
    "target": "ES2023",
    "module": "NodeNext",
    "types": ["node"],
    "strict": true,
    "allowImportingTsExtensions": true,
    "noEmit": true,
    "skipLibCheck": true
  },
  "include": ["jobs", "test", "piko.config.ts"]
}
`

const DOCKERFILE = `FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
COPY vendor ./vendor
RUN npm ci --omit=dev

FROM node:24-slim
ENV NODE_ENV=production PIKO_LOG_JSON=true
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY . .
# The only folder that Piko writes to: the embedded database, and rows whose target is down. Mount a volume here.
RUN mkdir .piko && chown node:node .piko
USER node
VOLUME /app/.piko
# Probes from outside the container need an address. Without the API no token is needed; docs/access.md shows how to serve it.
ENV PIKO_HTTP__HOST=0.0.0.0 PIKO_HTTP__API=false
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \\
  CMD ["node", "-e", "fetch('http://127.0.0.1:9464/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is the first process, so that SIGTERM reaches it. "npm start" also works, but adds two processes.
CMD ["node", "node_modules/piko/dist/bin.js", "start"]
`

function readme({ language }: Choices, isSecret: boolean): string {
  return `# Jobs

\`\`\`sh
npm run dev              # run the jobs, and start again after each change; http://127.0.0.1:9464 shows them
npm test${language === 'ts' ? ' && npm run check' : ''}
npx piko run hello       # one run of a job, now
npx piko windows daily   # what has been done, and what is missing
npm start                # on a server
docker build -t jobs . && docker run --rm -v jobs:/app/.piko jobs
\`\`\`

- \`jobs/\` has the jobs: each exported one is found.
- \`settings.toml\` has the settings.${isSecret ? ' It contains a password, so Git and Docker ignore it. In a container, set `PIKO_MYSQL__DSN`.' : ''}
- \`vendor/\` has the package of Piko, until it is on a registry.
`
}
