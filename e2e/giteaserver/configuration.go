package giteaserver

// configuration is Gitea's. Everything that works in the background, or asks the internet, is off.
const configuration = `WORK_PATH = %[1]s
RUN_USER = %[2]s
RUN_MODE = prod
%[3]s

[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[4]s
DOMAIN = 127.0.0.1
ROOT_URL = %[5]s/
STATIC_ROOT_PATH = %[6]s
OFFLINE_MODE = true
LFS_START_SERVER = false
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = %[7]s
SSH_DOMAIN = 127.0.0.1
SSH_LISTEN_HOST = 127.0.0.1
SSH_LISTEN_PORT = %[8]s
SSH_PORT = %[8]s
SSH_SERVER_HOST_KEYS = %[9]s

[database]
DB_TYPE = sqlite3
PATH = %[1]s/gitea.db
SQLITE_JOURNAL_MODE = WAL

[repository]
ROOT = %[1]s/repositories
DEFAULT_BRANCH = main

[security]
INSTALL_LOCK = true
SECRET_KEY = %[10]s
PASSWORD_HASH_ALGO = pbkdf2_v2

[service]
DISABLE_REGISTRATION = true

[cron]
ENABLED = false

[cron.update_checker]
ENABLED = false

[actions]
ENABLED = false

[indexer]
ISSUE_INDEXER_TYPE = db

[mailer]
ENABLED = false

[oauth2]
ENABLED = false

[session]
PROVIDER = memory

[log]
MODE = console
LEVEL = Warn

[log.console]
STDERR = true
`
