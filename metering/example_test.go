package metering_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A Tally is embedded in what is kept for a request. It counts while bytes
// move; Run writes what was counted.
func ExampleMeter_Begin() {
	pool, err := pgxpool.New(context.Background(), "postgres://primecloud_gateway@127.0.0.1/primecloud")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	meter, err := metering.New(metering.Config{Pool: pool, Dir: "/var/lib/primecloud/metering", Node: "gateway-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	var request struct{ tally metering.Tally }
	meter.Begin(&request.tally, usage.Key{Account: tenancy.NewID(), Class: usage.ClassB})
	for _, taken := range []int64{256 << 10, 256 << 10, 17} { // bytes that the socket took
		request.tally.Egress(taken)
	}
	request.tally.Request()
	request.tally.End()
	fmt.Println(usage.ClassB)
	// Output: B
}
