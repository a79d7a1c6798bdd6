"""Tables of the Kite world. Money and prices are integer paise; documents are what the API answers with."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS kite_users (
  user_id TEXT PRIMARY KEY, name TEXT NOT NULL, cash_paise INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS kite_app (redirect_url TEXT NOT NULL, static_ip TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS kite_request_tokens (
  token TEXT PRIMARY KEY, api_key TEXT NOT NULL, user_id TEXT NOT NULL, issued_at TEXT NOT NULL,
  used INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS kite_sessions (
  access_token TEXT PRIMARY KEY, api_key TEXT NOT NULL, user_id TEXT NOT NULL, public_token TEXT NOT NULL,
  refresh_token TEXT NOT NULL UNIQUE, login_at TEXT NOT NULL, expires_at TEXT NOT NULL,
  dead INTEGER NOT NULL DEFAULT 0, refresh_dead INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS kite_orders (
  order_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, user_id TEXT NOT NULL, api_key TEXT NOT NULL,
  day TEXT NOT NULL, offset_seconds REAL NOT NULL, exchange TEXT NOT NULL, tradingsymbol TEXT NOT NULL,
  token INTEGER NOT NULL, variety TEXT NOT NULL, side TEXT NOT NULL, product TEXT NOT NULL,
  order_type TEXT NOT NULL, validity TEXT NOT NULL, status TEXT NOT NULL, quantity INTEGER NOT NULL,
  filled INTEGER NOT NULL DEFAULT 0, price INTEGER NOT NULL DEFAULT 0,
  trigger_price INTEGER NOT NULL DEFAULT 0,
  triggered INTEGER NOT NULL DEFAULT 0, protection TEXT NOT NULL DEFAULT '0',
  modifications INTEGER NOT NULL DEFAULT 0, changes TEXT NOT NULL DEFAULT '{}', placed_at TEXT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS kite_orders_user ON kite_orders (user_id, day);
CREATE INDEX IF NOT EXISTS kite_orders_live ON kite_orders (status)
  WHERE status NOT IN ('COMPLETE', 'CANCELLED', 'REJECTED');
CREATE TABLE IF NOT EXISTS kite_order_history (
  n INTEGER PRIMARY KEY AUTOINCREMENT, order_id TEXT NOT NULL, doc TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS kite_order_history_order ON kite_order_history (order_id);
CREATE TABLE IF NOT EXISTS kite_trades (
  trade_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, user_id TEXT NOT NULL, day TEXT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS kite_trades_order ON kite_trades (order_id);
CREATE TABLE IF NOT EXISTS kite_ledger (
  n INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL, exchange TEXT NOT NULL,
  tradingsymbol TEXT NOT NULL, token INTEGER NOT NULL, product TEXT NOT NULL, quantity INTEGER NOT NULL,
  price INTEGER NOT NULL, day TEXT NOT NULL, kind TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS kite_ledger_user ON kite_ledger (user_id);
CREATE TABLE IF NOT EXISTS kite_market (
  token INTEGER PRIMARY KEY, last INTEGER NOT NULL, open INTEGER NOT NULL, high INTEGER NOT NULL,
  low INTEGER NOT NULL, close INTEGER NOT NULL, volume INTEGER NOT NULL, last_quantity INTEGER NOT NULL,
  traded_at TEXT NOT NULL, halted INTEGER NOT NULL DEFAULT 0, manual INTEGER NOT NULL DEFAULT 0,
  depth TEXT NOT NULL DEFAULT '', replay TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS kite_gtt (
  id INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL, api_key TEXT NOT NULL, type TEXT NOT NULL,
  status TEXT NOT NULL, token INTEGER NOT NULL, condition TEXT NOT NULL, orders TEXT NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, expires_at TEXT NOT NULL,
  offset_seconds REAL NOT NULL, meta TEXT NOT NULL DEFAULT 'null'
);
CREATE TABLE IF NOT EXISTS kite_mf_orders (
  order_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, user_id TEXT NOT NULL, status TEXT NOT NULL,
  doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS kite_mf_sips (
  sip_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, user_id TEXT NOT NULL, status TEXT NOT NULL,
  doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS kite_auctions (
  auction_number TEXT PRIMARY KEY, user_id TEXT NOT NULL, tradingsymbol TEXT NOT NULL,
  quantity INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS kite_postbacks (
  n INTEGER PRIMARY KEY AUTOINCREMENT, order_id TEXT NOT NULL, body TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS kite_updates (
  n INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL, api_key TEXT NOT NULL, body TEXT NOT NULL
);
"""
