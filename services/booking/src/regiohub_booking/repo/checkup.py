"""What must be true of booking's rows, whatever happened."""

OVERLAPS = """
SELECT 'resource ' || a.resource_id || ': rows ' || a.id || ' and ' || b.id
FROM occupancy a JOIN occupancy b ON a.id < b.id AND a.resource_id = b.resource_id AND a.span && b.span AND a.lane && b.lane
"""
UNHELD = """
SELECT 'booking ' || b.code || ' (' || b.status || ')'
FROM booking b JOIN line l ON l.booking_id = b.id LEFT JOIN resource_part p ON p.resource_id = l.resource_id
WHERE b.status IN ('requested', 'held', 'confirmed', 'checked_in') AND NOT EXISTS (
    SELECT FROM occupancy o WHERE o.line_id = l.id AND o.resource_id = coalesce(p.part_id, l.resource_id)
    AND lower_inf(o.lane) AND o.span = tstzrange(l.starts_at, l.ends_at, '[)'))
"""
FREED = """
SELECT DISTINCT 'booking ' || b.code || ' (' || b.status || ')'
FROM occupancy o JOIN line l ON l.id = o.line_id JOIN booking b ON b.id = l.booking_id
WHERE b.status IN ('cancelled', 'expired', 'rejected')
"""
UNPAID = """
SELECT 'booking ' || b.code FROM booking b
WHERE b.status IN ('confirmed', 'checked_in') AND b.gross_cents > 0 AND NOT EXISTS (
    SELECT FROM payment_verdict v WHERE v.booking_id = b.id AND v.verdict = 'accepted'
    AND v.paid_cents - v.refunded_cents >= b.gross_cents)
"""
DEAD_MAILS = "SELECT 'booking ' || booking_id || ': ' || kind FROM mail_job WHERE dead_at IS NOT NULL"
CHECKS = {
    "no two bookings in one place": OVERLAPS,
    "every live booking holds its place": UNHELD,
    "no ended booking holds a place": FREED,
    "every confirmed priced booking is paid": UNPAID,
    "no mail was given up": DEAD_MAILS,
}
