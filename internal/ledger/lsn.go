package ledger

import "fmt"

// lsn is a WAL position in the text form of type pg_lsn, "16/B374D848".
type lsn uint64

func (l lsn) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// Scan reads the text form; NULL is 0.
func (l *lsn) Scan(src any) error {
	switch s := src.(type) {
	case nil:
		*l = 0
		return nil
	case string:
		var high, low uint32
		if _, err := fmt.Sscanf(s, "%X/%X", &high, &low); err != nil {
			return fmt.Errorf("read LSN %q: %w", s, err)
		}
		*l = lsn(high)<<32 | lsn(low)
		return nil
	default:
		return fmt.Errorf("read LSN: got a %T", src)
	}
}
