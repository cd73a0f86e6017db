// Package mysql writes what a server of MySQL's client/server protocol says instead of its greeting (MySQL Source Code
// Documentation, pages "Connection Phase" and "ERR_Packet"), and reads and writes as much as a login takes.
package mysql

import "encoding/binary"

// maxText is the longest text of an error that clients keep (MYSQL_ERRMSG_SIZE).
const maxText = 512

// Error is the first packet of a connection, refused: the number of an error and a text. It has no SQLSTATE, since the
// client has not said yet whether it knows any.
func Error(number uint16, text string) []byte {
	if len(text) > maxText {
		text = text[:maxText]
	}
	length := 1 + 2 + len(text)
	out := []byte{byte(length), byte(length >> 8), byte(length >> 16), 0, 0xff} // packet 0
	return append(binary.LittleEndian.AppendUint16(out, number), text...)
}
