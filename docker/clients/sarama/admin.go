package main

import (
	"errors"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// adminRole is the admin role: what the lab needs to know of a cluster.
type adminRole struct {
	calls
	registry registry
	client   sarama.Client
	native   sarama.ClusterAdmin
}

const (
	ledWithin = 30 * time.Second // of partitions that were just made
	ledEvery  = 20 * time.Millisecond
)

func newAdmin(session *kit.Session) kit.Client {
	return &adminRole{calls: calls{session: session}, registry: newRegistry()}
}

func (a *adminRole) Do(c *kit.Command) (fields kit.Fields, err error) {
	operation, has := map[string]func(*kit.Command) (kit.Fields, error){
		"open":             a.open,
		"create_topic":     a.createTopic,
		"describe_cluster": a.describeCluster,
		"end_offsets":      a.endOffsets,
		"group_offsets":    a.groupOffsets,
	}[c.Op]
	if !has {
		return nil, kit.Refusef("%s: not an operation of an admin", c.Op)
	}
	found := make(chan kit.Fields, 1)
	if err := a.wait(func() error {
		fields, err := operation(c)
		found <- fields
		return err
	}); err != nil {
		return nil, err
	}
	return <-found, nil
}

func (a *adminRole) open(c *kit.Command) (kit.Fields, error) {
	s, err := configure("admin", c)
	if err != nil {
		return nil, err
	}
	s.MetricRegistry = a.registry
	if a.client, err = sarama.NewClient(s.addresses, s.Config); err != nil {
		return nil, err
	}
	a.native, err = sarama.NewClusterAdminFromClient(a.client)
	return nil, err
}

func (a *adminRole) createTopic(c *kit.Command) (kit.Fields, error) {
	detail := &sarama.TopicDetail{ConfigEntries: map[string]*string{}}
	topic, err := c.Text("topic")
	if err != nil {
		return nil, err
	}
	for name, target := range map[string]any{
		"partitions": &detail.NumPartitions, "replication": &detail.ReplicationFactor,
		"configs": &detail.ConfigEntries,
	} {
		if err := c.Into(name, target); err != nil {
			return nil, err
		}
	}
	if err := a.native.CreateTopic(topic, detail, false); err != nil {
		return nil, err
	}
	// A broker can name itself leader before it serves as one: ask each until it answers.
	deadline := time.Now().Add(ledWithin)
	for partition := range detail.NumPartitions {
		for {
			_, err := a.client.GetOffset(topic, partition, sarama.OffsetNewest)
			if err == nil {
				break
			}
			if time.Now().After(deadline) || a.session.Closing() {
				return nil, err
			}
			time.Sleep(ledEvery)
			if err := a.client.RefreshMetadata(topic); errors.Is(err, sarama.ErrClosedClient) {
				return nil, err
			}
		}
	}
	return nil, nil
}

func (a *adminRole) describeCluster(*kit.Command) (kit.Fields, error) {
	brokers, controller, err := a.native.DescribeCluster()
	if err != nil {
		return nil, err
	}
	ids := []int32{}
	for _, broker := range brokers {
		ids = append(ids, broker.ID())
	}
	slices.Sort(ids)
	return kit.Fields{"brokers": ids, "controller": controller}, nil
}

func (a *adminRole) endOffsets(c *kit.Command) (kit.Fields, error) {
	places, err := c.Places("partitions")
	if err != nil {
		return nil, err
	}
	found := []kit.Position{}
	for _, place := range places {
		offset, err := a.client.GetOffset(place.Topic, place.Partition, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		found = append(found, kit.Position{Place: place, Offset: offset})
	}
	return kit.Fields{"offsets": found}, nil
}

func (a *adminRole) groupOffsets(c *kit.Command) (kit.Fields, error) {
	group, err := c.Text("group")
	if err != nil {
		return nil, err
	}
	places, err := c.Places("partitions")
	if err != nil {
		return nil, err
	}
	found, err := groupOffsets(a.native, group, places)
	return kit.Fields{"offsets": found}, err
}

// groupOffsets are what a group's coordinator has, −1 where it has none.
func groupOffsets(
	admin sarama.ClusterAdmin, group string, places []kit.Place,
) ([]kit.Position, error) {
	found := []kit.Position{}
	if len(places) == 0 {
		return found, nil // sarama would ask for all
	}
	wanted := map[string][]int32{}
	for _, place := range places {
		wanted[place.Topic] = append(wanted[place.Topic], place.Partition)
	}
	answer, err := admin.ListConsumerGroupOffsets(group, wanted)
	if err != nil {
		return nil, err
	}
	if answer.Err != sarama.ErrNoError {
		return nil, answer.Err
	}
	for _, place := range places {
		block := answer.GetBlock(place.Topic, place.Partition)
		if block == nil {
			return nil, sarama.ErrIncompleteResponse
		}
		if block.Err != sarama.ErrNoError {
			return nil, block.Err
		}
		found = append(found, kit.Position{Place: place, Offset: block.Offset})
	}
	return found, nil
}

func (a *adminRole) Observe() kit.Observed {
	return kit.Observed{ReceivedBytes: a.registry.count(received), SentBytes: a.registry.count(sent)}
}

func (a *adminRole) Close() error {
	a.settle()
	defer a.registry.close()
	if a.native != nil {
		return a.native.Close() // and its client
	}
	if a.client != nil {
		return a.client.Close()
	}
	return nil
}
